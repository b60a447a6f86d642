"""Imported before FastAPI: the models of its OpenAPI document, which nobody asks for here, are never built."""

import quintet.cold  # noqa: F401 - importing it is all there is to do

import pydantic


def _import_fastapi() -> None:
    """Our own models are built while a function starts, as ever: it has a whole core then, and less of one later."""
    pydantic.BaseModel.model_config["defer_build"] = True
    try:
        import fastapi.openapi.models  # noqa: F401 - importing it is all there is to do
    finally:
        del pydantic.BaseModel.model_config["defer_build"]


_import_fastapi()
