"""roc-validator's verdict on a crate, without a network.

The profiles lie in the validator's package; the one thing that it would fetch is RO-Crate 1.1's JSON-LD context. It is
here as the RO-Crate community has published it (CC0; as rocrate 0.13 ships it), and is put into the validator's cache.
"""

from pathlib import Path
from typing import Any

from requests_cache import CachedRequest, CachedResponse, CachedSession
from rocrate_validator import services
from rocrate_validator.models import Severity, ValidationSettings

CONTEXT = Path(__file__).with_name("ro_crate_1.1_context.jsonld")
URL = "https://w3id.org/ro/crate/1.1/context"


def verdict(crate: Path, profile: str, folder: Path) -> Any:
    """The validator's result for a crate (an archive or a folder) at its required level; `folder` is for its cache."""
    cache = folder / "http"
    with CachedSession(cache_name=str(cache), backend="sqlite", expire_after=-1) as session:
        known = {"status_code": 200, "headers": {"Content-Type": "application/ld+json"}}
        request = CachedRequest(method="GET", url=URL)
        session.cache.save_response(CachedResponse(url=URL, content=CONTEXT.read_bytes(), request=request, **known))
    return services.validate(
        ValidationSettings(
            rocrate_uri=str(crate),
            profile_identifier=profile,
            requirement_severity=Severity.REQUIRED,
            offline=True,
            cache_path=cache,
        )
    )
