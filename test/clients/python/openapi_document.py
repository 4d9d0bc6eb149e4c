"""openapi-spec-validator on /docs.json of a service with every kind of API: python openapi_document.py URL"""

import json
import sys
import urllib.request
from importlib.metadata import version

from openapi_spec_validator import OpenAPIV31SpecValidator
from report import Cases

[URL] = sys.argv[1:]
cases = Cases(f"openapi-spec-validator {version('openapi-spec-validator')}")


def valid():
    with urllib.request.urlopen(f"{URL}/docs.json") as answer:
        document = json.load(answer)
    assert len(document["paths"]) > 20, list(document["paths"])
    errors = list(OpenAPIV31SpecValidator(document).iter_errors())
    assert not errors, "; ".join(f"{list(error.absolute_path)[:8]}: {error.message[:300]}" for error in errors)


cases.case("document of every kind of API", valid)
