"""Types of request fields: strict about meaning, lenient about JSON's types (contract, section 2)."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints, model_validator

from funai.contract import ids

MAX_SECONDS = 3600


class Model(BaseModel):
    """A request's body or query.

    Unknown fields are ignored, a field that is null counts as absent, numbers pass as ids.
    """

    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, data: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
        if isinstance(data, dict):
            return {key: value for key, value in data.items() if value is not None}
        return data


def _whole(value: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    if isinstance(value, bool):
        msg = "must be a whole number"
        raise ValueError(msg)  # noqa: TRY004 - pydantic takes ValueError
    return value.strip() if isinstance(value, str) else value


def _text(value: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    if isinstance(value, bool):
        msg = "must be a string"
        raise ValueError(msg)  # noqa: TRY004 - pydantic takes ValueError
    return value


def _flag(value: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    return value.strip().lower() if isinstance(value, str) else value


#: A number, or the same in digits.
WholeNumber = Annotated[int, BeforeValidator(_whole)]
Seconds = Annotated[float, BeforeValidator(_whole)]
#: ``true/false/1/0/yes/no/on/off`` or JSON's own.
Flag = Annotated[bool, BeforeValidator(_flag)]
#: As it was given, with its spaces.
Text = Annotated[str, BeforeValidator(_text)]
Word = Annotated[str, BeforeValidator(_text), StringConstraints(strip_whitespace=True)]
AppId = Annotated[str, BeforeValidator(ids.app_id)]
UserId = Annotated[str, BeforeValidator(ids.user_id)]
#: Printable, so that it can be logged and compared.
RunnerId = Annotated[
    str,
    BeforeValidator(_text),
    StringConstraints(strip_whitespace=True, min_length=1, max_length=128, pattern=r"^[ -~]+$"),
]
