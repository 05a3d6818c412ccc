"""Charts and the table of codes, as records give them."""

from ssgan.records.rundir import Record
from ssgan.viewing.curves import charts, health


def record(epoch: int, metrics: dict[str, float | None], **more: object) -> Record:
    return Record.model_validate(
        {"epoch": epoch, "step": epoch, "images_seen": epoch, "timestamp_ms": 0}
        | {"metrics": metrics, **more}
    )


def test_charts_hold_what_has_values_in_the_order_that_matters() -> None:
    records = [
        record(1, {"loss/d_real": 0.5, "loss/L2_IS": 2.0, "loss/mine": -1.0, "lambda2": 1.0}),
        record(
            3,
            {
                "loss/d_real": 0.25,
                "zero_one_loss_ema": 0.5,
                "zero_one_loss_ema/digit.4": 0.75,
                "zero_one_loss": None,
                "q_ss_accuracy": 0.875,
                "mi/digit": 2.0,
                "mi/style_1": 0.5,
            },
        ),
    ]
    found = {chart.title: chart.curves for chart in charts(records)}
    assert [*found] == [
        "0-1 loss by C",
        "Q_ss accuracy",
        "bound on I(c; x̃), nats",
        "adversarial losses of D and G",
        "losses of the codes",
    ]
    assert found["0-1 loss by C"] == [("0-1 loss of G's EMA", [(3, 0.5)])]
    assert found["bound on I(c; x̃), nats"] == [("digit", [(3, 2.0)]), ("style_1", [(3, 0.5)])]
    assert found["adversarial losses of D and G"] == [("d_real", [(1, 0.5), (3, 0.25)])]
    assert [curve.name for curve in found["losses of the codes"]] == ["L2_IS", "mine"]


def test_each_code_has_a_row_with_its_worst_class_and_what_is_to_be_known() -> None:
    found = health(
        record(
            2,
            {
                "zero_one_loss_ema": 0.125,
                "zero_one_loss_ema/digit.4": 0.25,
                "zero_one_loss_ema/digit.5": 0.0,
                "mi/digit": 2.25,
                "mi/style_1": 0.001,
                "rmse/angle": None,
            },
            reasons={"rmse/angle": "no code is continuous", "rmse": "no code is continuous"},
            alarms=["style_1 changes nothing"],
        )
    )
    titles = [column.title for column in found.columns]
    assert titles == ["0-1 loss of G's EMA, worst class", "bound on I(c; x̃), nats"]
    assert found.rows == [("digit", ["0.25 (4)", "2.25"]), ("style_1", ["", "0.001"])]
    assert found.notes == ["no code is continuous"]
    assert found.alarms == ["style_1 changes nothing"]
    assert found.epoch == 2
