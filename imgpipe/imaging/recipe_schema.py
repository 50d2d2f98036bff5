"""The JSON Schema of recipe files, for editors: it proposes names, explains them, and marks mistakes.

Made from the same declarations as the checks: operations and their parameters, and `recipe_toml.OPTIONS`.
It is JSON Schema, draft 2020-12, of what a TOML file holds. What it takes is a recipe, but for what no schema
can say: JSON has one kind of number, so ``5.0`` is an integer there; a file may be missing; parameters may
contradict each other. The other way around it is narrower in spelling alone: it knows ``png``, and ``.PNG``
is read too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from imgpipe import limits
from imgpipe.imaging.operations import Operation, Parameter
from imgpipe.imaging.operations.declare import OneGiven
from imgpipe.imaging.operations.kinds import SIDE_MAX, Colour, Corners, Length, Ratio, Size
from imgpipe.imaging.recipe_toml import OPTIONS, TABLES

DRAFT = "https://json-schema.org/draft/2020-12/schema"
_ABOUT = {
    "input": "what is read of the input files",
    "output": "what the outputs are: format, name, metadata",
}


def up_to(most: int) -> str:
    """A regular expression for decimal numbers from 0 to ``most`` (10 or more), of at most its digits."""
    digits = str(most)
    wider = [
        f"{digits[:place]}[0-{int(digit) - 1}][0-9]{{{len(digits) - place - 1}}}"
        for place, digit in enumerate(digits)
        if digit != "0"
    ]
    return f"(?:[0-9]{{1,{len(digits) - 1}}}|{'|'.join(wider)}|{digits})"


_SIDE = up_to(SIDE_MAX)
_DECIMAL = r"[0-9]{1,5}(?:\.[0-9]{1,4})?"

#: How values that are written as text look, by their kind; others are any text.
PATTERNS: Mapping[type, str] = {
    Size: rf"^(?=[^1-9]*[1-9])(?:{_SIDE})?[x×](?:{_SIDE})?$",
    Colour: "^(?:#(?:[0-9A-Fa-f]{3}|[0-9A-Fa-f]{6}|[0-9A-Fa-f]{8})|[A-Za-z]+)$",
    Ratio: rf"^{_DECIMAL}:{_DECIMAL}$",
    Length: rf"^-?(?:[0-9]{{1,5}}|{_DECIMAL}%)$",
    Corners: rf"^\s*{_DECIMAL}(?:[,\s]+{_DECIMAL}){{7}}\s*$",
}


#: What means something between the brackets of a regular expression, in Python's and in ECMAScript's.
_SPECIAL = r"\]^-["


def schema(operations: Iterable[Operation]) -> dict[str, Any]:
    """The whole schema, of dictionaries and lists as JSON has them."""
    known = sorted(operations, key=lambda operation: operation.name)
    tables = {table: _table(table) for table in TABLES}
    return {
        "$schema": DRAFT,
        "title": "imgpipe recipe",
        "description": "What is done to every image of a job: imgpipe run --recipe FILE",
        **_object({"step": _steps(known), **tables}),
    }


def _object(properties: Mapping[str, Any], required: Iterable[str] = ()) -> dict[str, Any]:
    whole = {"type": "object", "properties": dict(properties), "additionalProperties": False}
    return whole | ({"required": list(required)} if required else {})


def _steps(known: list[Operation]) -> dict[str, Any]:
    names = [operation.name for operation in known]
    return {
        "description": "an operation with its parameters; steps are done in order",
        "type": "array",
        "maxItems": limits.OPERATION_MAX,
        "items": {
            "type": "object",
            "required": ["op"],
            # Said by itself as well: that is what an editor tells of a name that is wrong.
            "properties": {"op": {"description": "the operation's name", "enum": names}},
            "oneOf": [_step(operation) for operation in known],
        },
    }


def _step(operation: Operation) -> dict[str, Any]:
    name = {"const": operation.name, "description": operation.help}
    required = [p.name for p in operation.parameters if p.required]
    about: dict[str, Any] = {"title": operation.name, "description": operation.description}
    if isinstance(operation.check, OneGiven):
        about["oneOf"] = [{"required": [given]} for given in operation.check.names]
    return about | _object({"op": name, **parameters(operation)}, ["op", *required])


def parameters(operation: Operation) -> dict[str, Any]:
    """The schema of each parameter, by name."""
    return {parameter.name: _parameter(parameter) for parameter in operation.parameters}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    described = {"description": f"{parameter.doc}; {parameter.expected}"} | _values(parameter)
    if parameter.default is not None:
        described["default"] = parameter.default
    return described


def _values(parameter: Parameter) -> dict[str, Any]:
    if parameter.choices:
        return {"enum": list(parameter.choices)}
    if parameter.kind is bool:
        return {"type": "boolean"}
    if parameter.kind in (int, float):
        return _number(parameter)
    return _text(parameter)


def _number(parameter: Parameter) -> dict[str, Any]:
    values: dict[str, Any] = {"type": "integer" if parameter.kind is int else "number"}
    if parameter.range is not None:
        values |= {"minimum": parameter.range.low, "maximum": parameter.range.high}
        if parameter.range.odd:
            values["not"] = {"multipleOf": 2}
    return values


def _text(parameter: Parameter) -> dict[str, Any]:
    values: dict[str, Any] = {"type": "string"}
    if parameter.kind in PATTERNS:
        values["pattern"] = PATTERNS[parameter.kind]
    if parameter.kind is Length:  # pixels may be a number, and the bounds are of numbers alone
        values |= {**_number(parameter), "type": ["string", "integer"]}
    if parameter.text is not None:
        values |= {
            "minLength": 1,
            "maxLength": parameter.text.limit,
            "pattern": _only(parameter.text.characters),
        }
    return values


def _only(characters: str) -> str:
    """A regular expression for texts of these characters."""
    escaped = ("\\" + one if one in _SPECIAL else one for one in characters)
    return f"^[{''.join(escaped)}]*$"


def _table(name: str) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for option in OPTIONS:
        if option.table == name:
            properties[option.key] = {"description": option.doc, **option.schema}
            if option.default is not None:
                properties[option.key]["default"] = option.default
    return {"description": _ABOUT[name], **_object(properties)}
