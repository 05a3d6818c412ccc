"""The backend of Ray Train's workers: torch's process group, and workers that heed SIGTERM."""

from typing import Any

from ray.train.torch import TorchConfig

from ssgan.launch.preemption import heed_sigterm


class _Backend(TorchConfig().backend_cls):  # type: ignore[misc]  # Ray does not export its name
    def on_start(self, worker_group: Any, backend_config: Any) -> None:
        worker_group.execute(heed_sigterm)  # which runs in the main thread of each worker
        super().on_start(worker_group, backend_config)


class HeedingTorchConfig(TorchConfig):
    """`TorchConfig`, but SIGTERM to a worker is a notice (`ssgan.launch.preemption`)."""

    @property
    def backend_cls(self) -> Any:
        """The class that sets the workers up."""
        return _Backend
