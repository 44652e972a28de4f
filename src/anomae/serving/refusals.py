"""What a request is refused for: one sentence, and the HTTP status that says whose turn it is."""

from anomae.errors import UserError

NO_ROOM = "The disk of the service is full; remove studies (or shorten --keep), then send it again."


class Refused(UserError):
    """A request that is not served.

    status: of HTTP: 400 not understood, 401 who are you, 404 not there, 413 too much, 422 not usable, 429 too many
    jobs wait, 507 the disk is full.
    """

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
