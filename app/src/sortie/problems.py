"""What goes wrong on a caller's side, or because of the state of things: an HTTP status and words."""

from __future__ import annotations


class Problem(Exception):  # noqa: N818 - it becomes an answer, which is not always an error of ours
    """`status` is HTTP's, `code` is for programs, `field` names the part of the body that is wrong."""

    def __init__(
        self, status: int, code: str, message: str, field: str = "", headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.field = field
        self.headers = headers

    def body(self) -> dict[str, dict[str, str]]:
        error = {"code": self.code, "message": self.message}
        return {"error": error | ({"field": self.field} if self.field else {})}


def invalid(message: str, field: str = "") -> Problem:
    return Problem(400, "invalid", message, field)


def not_found(what: str, name: str) -> Problem:
    return Problem(404, "not_found", f"there is no {what} {name!r}")


def conflict(message: str, field: str = "") -> Problem:
    return Problem(409, "conflict", message, field)
