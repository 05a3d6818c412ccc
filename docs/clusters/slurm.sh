#!/bin/bash
#SBATCH --job-name=ssgan
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --gpus-per-task=2
#SBATCH --time=08:00:00
#SBATCH --signal=B:TERM@120
# Ray on the machines of a Slurm job: the first is the head, and the search runs there.
# Arguments are those of tune/run.py. FILL IN the three paths.
set -euo pipefail

project=$HOME/ssgan
source "$HOME/venv/bin/activate"
export SSGAN_OUT=/shared/$USER/runs # a folder that all machines see
export SSGAN_CACHE=${TMPDIR:-/tmp}/ssgan-$USER
export OMP_WAIT_POLICY=PASSIVE RAY_USAGE_STATS_ENABLED=0 MLFLOW_DISABLE_TELEMETRY=true

mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=$(srun --nodes=1 --ntasks=1 --nodelist="${nodes[0]}" hostname --ip-address | cut -d' ' -f1)
export RAY_ADDRESS=$head:6379
# What Slurm gave us, and no more: other jobs may share the machines.
has=(--num-cpus="$SLURM_CPUS_PER_TASK" --num-gpus="${SLURM_GPUS_PER_TASK:-0}" --block)

srun --overlap --nodes=1 --ntasks=1 --nodelist="${nodes[0]}" \
  ray start --head --node-ip-address="$head" --port=6379 --dashboard-host=127.0.0.1 "${has[@]}" &
for node in "${nodes[@]:1}"; do
  srun --overlap --nodes=1 --ntasks=1 --nodelist="$node" \
    ray start --address="$RAY_ADDRESS" "${has[@]}" &
done

# All of them must have joined before the search counts what there is.
joined() { ray list nodes --filter state=ALIVE --format json 2>/dev/null | grep -o '"node_id"' | wc -l; }
until (($(joined || true) >= ${#nodes[@]})); do sleep 5; done

python "$project/tune/run.py" "$@" &
search=$!
trap 'kill -TERM $search' TERM # --resume goes on from the last epochs
code=0
wait $search || code=$?
# A code above 128 may mean that the signal ended the waiting, not the search.
if ((code > 128)); then code=0 && wait $search || code=$?; fi
exit $code
