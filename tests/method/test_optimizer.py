import pytest

from ssgan.method.consistency import ConsistencyConfig
from ssgan.method.objective import ObjectiveConfig
from ssgan.method.optimizer import OptimizerConfig, Weights
from ssgan.method.schedules import Clock, Linear, Step, WarmUp


def test_without_schedules_weights_are_those_of_the_configuration() -> None:
    objective, optimizer = ObjectiveConfig(lambda1=0.5, lambda2=3.0), OptimizerConfig()
    for images_seen in (0, 10**9):
        weights = Weights.at(objective, optimizer, Clock(images_seen, 100))
        assert weights == Weights(lambda1=0.5, lambda2=3.0, d_lr=1e-4, g_lr=1e-3)


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [
        (0, Weights(lambda1=0.5, lambda2=1.0, d_lr=2e-3, g_lr=1e-2)),
        (2, Weights(lambda1=0.5, lambda2=2.0, d_lr=1e-3, g_lr=0.4e-2)),
        (4, Weights(lambda1=0.5, lambda2=2.0, d_lr=0.0, g_lr=0.0)),
    ],
)
def test_every_schedule_acts_on_its_own_weights(epochs: int, expected: Weights) -> None:
    objective = ObjectiveConfig(
        lambda1=0.5, lambda2=2.0, lambda2_warm_up=WarmUp(start=0.5, duration=2)
    )
    optimizer = OptimizerConfig(
        discriminator_lr=2e-3,
        generator_lr=1e-2,
        lr_schedule=Linear(duration=4),
        generator_lr_schedule=Step(drop=0.1),
    )
    assert Weights.at(objective, optimizer, Clock(100 * epochs, 100)) == pytest.approx(expected)


def test_the_terms_of_consistency_have_weights_where_there_is_one() -> None:
    config = ConsistencyConfig(information=0.5, fairness=0.25, warm_up=WarmUp(duration=2))
    for consistency, expected in ((None, (0, 0, 0)), (config, (0.5, 0.25, 0.125))):
        objective = ObjectiveConfig(consistency=consistency)
        weights = Weights.at(objective, OptimizerConfig(), Clock(100, 100))
        assert (weights.consistency, weights.information, weights.fairness) == expected
