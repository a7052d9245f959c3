"""For those who change what is stored and must start nothing. Used by `bootstrap`, for a restore."""

from stepswitch.domain.events import Cancel, Task


class Nobody:
    """Implements `TaskTaker` by leaving everything in the store: the service finds there what can run when it starts."""

    def submit(self, task: Task) -> bool:  # noqa: ARG002 # the signature is the port's
        """Leave it in the store."""
        return False

    def cancel(self, cancel: Cancel) -> None:
        """Nothing runs."""

    def takes_turns(self) -> bool:
        """Nobody does."""
        return False
