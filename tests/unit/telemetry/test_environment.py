"""env.json goes to colleagues and bug reports."""

import pytest

from dist_alexnet.telemetry.environment import without_secrets


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (["train", "--name", "a", "train.lr=0.02"], ["train", "--name", "a", "train.lr=0.02"]),
        (["--data", "s3://user:pass@host/set"], ["--data", "s3://***@host/set"]),
        (["https://host/set?sig=x&X-Amz-Signature=abc&part=1"], ["https://host/set?sig=x&X-Amz-Signature=***&part=1"]),
        (["strategy.options.api_key=abc"], ["strategy.options.api_key=***"]),
        (["plugin.AUTH_TOKEN=abc def"], ["plugin.AUTH_TOKEN=***"]),
        (["--db-password", "abc", "--name", "b"], ["--db-password", "***", "--name", "b"]),
        (["--token=abc"], ["--token=***"]),
        (["--token", "--db-password"], ["--token", "***"]),
    ],
)
def test_a_command_line_is_kept_without_its_secrets(typed: list[str], kept: list[str]) -> None:
    assert without_secrets(typed) == kept
