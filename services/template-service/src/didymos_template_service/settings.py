"""Settings of the template-service."""

from didymos_kit.settings import Settings


class TemplateServiceSettings(Settings, section="template-service"):
    placed_within_seconds: float = 0.5
