import pytest
import torch

from ssgan.base.errors import BadInput
from ssgan.experiment import footprint
from ssgan.experiment.footprint import check_footprint, estimate, takes_multiply_adds
from ssgan.experiment.loading import load_experiment, preset_names
from ssgan.method.codes import Code, LatentSpace
from ssgan.networks.dcgan import DcganConfig

GIB = 2**30
SHAPE = (1, 16, 16)


def test_parameters_are_those_that_are_built() -> None:
    experiment = load_experiment("digits", ["codes.supervised=[digit]"])
    found = estimate(experiment, SHAPE)
    assert found is not None
    codes = experiment.codes
    space = LatentSpace(
        supervised=(Code(name="digit", kind="continuous"),),
        unsupervised=tuple(code.code() for code in codes.unsupervised),
        noise=codes.noise,
    )
    built = [
        build(space, SHAPE, torch.Generator())
        for build in (
            experiment.networks.build_generator,
            experiment.networks.build_discriminator,
        )
    ]
    counted = sum(parameter.numel() for network in built for parameter in network.parameters())
    # Q_us is left out: how many columns the labels take is not known before the data.
    q_us = sum(p.numel() for p in built[1].parts()["q_us"])
    assert counted - q_us <= found.parameters <= counted


def test_multiply_adds_are_those_of_the_layers() -> None:
    experiment = load_experiment("digits", ["training.batch_size=32", "scaling.workers=2"])
    config = experiment.networks
    assert isinstance(config, DcganConfig)
    width, hidden, codes = config.width, config.hidden, 32 + 2 + 1  # noise, styles, a digit
    generator = codes * hidden + hidden * 2 * width * 16 + 16 * 16 * 2 * width * width
    generator += 64 * 16 * width  # every value of the input meets the 4 x 4 kernel
    trunk = 64 * 16 * width + 16 * 16 * width * 2 * width + 2 * width * 16 * hidden
    total = 16 * (generator + trunk)
    assert takes_multiply_adds(experiment, SHAPE, total)
    assert takes_multiply_adds(experiment, SHAPE, total + 1) is False


def test_networks_with_as_many_parameters_are_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(footprint, "_multiply_adds", None)
    experiment = load_experiment("digits", ["networks.width=512"])
    assert takes_multiply_adds(experiment, SHAPE, 10**8)


def test_workers_and_images_cost_memory() -> None:
    one = estimate(load_experiment("digits"), SHAPE)
    two = estimate(load_experiment("digits", ["scaling.workers=2"]), SHAPE)
    wide = estimate(load_experiment("digits", ["training.batch_size=640"]), SHAPE)
    large = estimate(load_experiment("digits"), (1, 32, 32))
    assert one is not None
    assert two is not None
    assert wide is not None
    assert large is not None
    assert two.networks == 2 * one.networks
    assert wide.batch > 5 * one.batch  # Q_ss's own batch stays as it is
    huge = estimate(load_experiment("digits", ["training.batch_size=100000"]), SHAPE)
    assert huge is not None
    assert huge.batch / 100_000 > 10 * one.batch / 64  # what layers keep is counted, too
    assert large.batch > one.batch
    again = estimate(load_experiment("digits", ["objective.consistency={}"]), SHAPE)
    assert again is not None
    assert again.batch - one.batch == 64 * 16 * 16 * 4  # the trunk runs over x once more


@pytest.mark.parametrize("preset", preset_names())
def test_every_preset_fits_a_small_machine(preset: str) -> None:
    check_footprint(load_experiment(preset), (3, 32, 32), 4 * GIB, "this machine")


@pytest.mark.parametrize(
    ("override", "cure"),
    [
        ("networks.width=1000000000", "lower the sizes in networks or codes"),
        ("networks.width=18000000000000000000", "lower the sizes in networks"),
        ("networks.hidden=1e15", "lower the sizes in networks"),
        ("codes.noise=10000000000", "lower the sizes in networks or codes"),
        ("training.batch_size=1e12", "lower training.batch_size"),
    ],
)
@pytest.mark.parametrize("shape", [None, SHAPE])
def test_what_fits_no_machine_is_refused_by_arithmetic(
    override: str, cure: str, shape: tuple[int, int, int] | None
) -> None:
    experiment = load_experiment("digits", [override])
    with pytest.raises(BadInput, match=cure) as refused:
        check_footprint(experiment, shape, 1000 * GIB, "this machine")
    assert "this machine has 1,000.0 GiB" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_images_that_the_networks_do_not_fit_are_left_to_their_own_check() -> None:
    assert estimate(load_experiment("digits"), (1, 17, 17)) is None
