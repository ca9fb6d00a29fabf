"""One folder an application; ``emulant`` finds each by its existing."""
