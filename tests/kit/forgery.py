"""Ways to spoil an operation: one field of it, at any depth, changed, cut, emptied or exchanged."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import Any, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

M = TypeVar("M", bound=Message)


class Spoil(enum.Enum):
    """What is done to one field."""

    FLIP = "one bit is changed, or one is added to a number"
    CUT = "the last byte, character or element is missing"
    GROW = "a byte, a character or a repeated element too many"
    EMPTY = "the field is not there"
    SWAP = "the field is taken from another operation of the same kind"


class _Place:
    """A field of a message inside an operation."""

    def __init__(self, owner: Message, field: FieldDescriptor, path: tuple[str | int, ...]) -> None:
        self.owner = owner
        self.field = field
        self.path = path

    def get(self) -> Any:
        return getattr(self.owner, self.field.name)

    def put(self, value: Any) -> None:
        if self.field.is_repeated:
            self.owner.ClearField(self.field.name)
            self.get().extend(value)
        elif self.field.message_type:
            self.get().CopyFrom(value)
        else:
            setattr(self.owner, self.field.name, value)


def spoiled(operation: M, spot: int, how: Spoil, donor: M | None = None) -> M:
    """A copy of `operation` with one field spoiled; `spot` chooses the field."""
    copy = type(operation)()
    copy.CopyFrom(operation)
    places = list(_places(copy, ()))
    if not places:
        return copy
    place = places[spot % len(places)]
    if how is Spoil.EMPTY:
        place.owner.ClearField(place.field.name)
    elif how is Spoil.SWAP:
        found = [one for one in _places(donor, ()) if one.path == place.path] if donor else []
        if found:
            place.put(found[0].get())
    else:
        _change(place, how)
    return copy


def _places(message: Message, path: tuple[str | int, ...]) -> Iterator[_Place]:
    for field, value in message.ListFields():
        here = (*path, field.name)
        yield _Place(message, field, here)
        if field.message_type and field.is_repeated:
            for at, element in enumerate(value):
                yield from _places(element, (*here, at))
        elif field.message_type:
            yield from _places(value, here)


def _change(place: _Place, how: Spoil) -> None:
    value = place.get()
    if place.field.is_repeated:
        elements = list(value)
        place.put(elements[:-1] if how is Spoil.CUT else [*elements, elements[-1]])
    elif isinstance(value, bytes):
        middle = len(value) // 2
        changed = {
            Spoil.FLIP: value[:middle] + bytes([value[middle] ^ 1]) + value[middle + 1 :],
            Spoil.CUT: value[:-1],
            Spoil.GROW: value + b"\0",
        }
        place.put(changed[how])
    elif isinstance(value, str):
        place.put({Spoil.FLIP: value[::-1], Spoil.CUT: value[:-1], Spoil.GROW: value + "x"}[how])
    elif isinstance(value, int):
        place.put({Spoil.FLIP: value + 1, Spoil.CUT: -value, Spoil.GROW: 2**63 - 1}[how])
