"""Imported before FastAPI: its OpenAPI models, never used here, are not built then, nor is any other model at once."""

import quintet.cold  # noqa: F401 - importing it is all there is to do

import pydantic

pydantic.BaseModel.model_config["defer_build"] = True
