"""Methods that only this application needs: torch stands here and in model, train, sample alone.

They obey the engine's :class:`~emulant.methods.game.Method`; ``model`` wires them, nobody else
imports them but ``sample``, for their types.
"""
