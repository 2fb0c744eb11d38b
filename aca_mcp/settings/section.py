"""What the parts of the settings have in common."""

from pydantic_settings import BaseSettings, SettingsConfigDict


class SettingsSection(BaseSettings):
    """The settings of one subject: a base of ``Settings``, which alone is ever made.

    So no validator is built for a part by itself, which would cost the start-up 10 ms.
    """

    model_config = SettingsConfigDict(defer_build=True)
