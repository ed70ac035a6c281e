"""`python -m didymos_template_service`: this service as a process of its own."""

from didymos_kit import process

from didymos_template_service.bootstrap import NAME, bootstrap
from didymos_template_service.settings import TemplateServiceSettings

if __name__ == "__main__":
    raise SystemExit(process.main(NAME, TemplateServiceSettings, bootstrap))
