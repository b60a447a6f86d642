"""Imported before FastAPI: what it prepares for everybody, and nobody asks for here, is left out of every start."""

import quintet.cold  # noqa: F401 - importing it is all there is to do

import pydantic


def _import_fastapi() -> None:
    """Without building the models of its OpenAPI document.

    Our own models are built while a function starts, as ever: it has a whole core then, and less of one later.
    """
    pydantic.BaseModel.model_config["defer_build"] = True
    try:
        import fastapi.openapi.models  # noqa: F401 - importing it is all there is to do
    finally:
        del pydantic.BaseModel.model_config["defer_build"]


def _forget_the_first_pydantic() -> None:
    """Of each field it is asked whether its type is of pydantic's first version, which is imported whole to know."""
    from fastapi._compat import shared

    shared.__dict__["is_pydantic_v1_model_class"] = lambda _class: False


_import_fastapi()
_forget_the_first_pydantic()
