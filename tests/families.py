"""What a timekeeper is given where no execution waits for another one."""


class NoFamily:
    """Implements `engine.timekeeper.Family`."""

    def look_at(self, execution_id: str) -> None:
        pass

    def jumped(self, milliseconds: int) -> None:
        pass

    async def sweep(self, *, everything: bool = False) -> None:
        pass
