"""Where writer schemas come from: the bundled ids.json, or a registry that speaks Confluent's API."""

import base64
import http.client
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Protocol

from schemas.codec_schema import UnknownSchema, WriterSchema, bundled, writer_schema
from schemas.errors import Fatal, Retry

# Confluent ids are positive 32-bit integers; no registry has to be asked about others.
HIGHEST_ID = 2**31 - 1
TIMEOUT_SECONDS = 5.0
# A schema registered a moment after a record that uses it must not stay unknown for long.
UNKNOWN_SECONDS = 5.0
# Garbage can name any id: remember only so many absences.
MOST_UNKNOWN = 10_000
NOT_FOUND = 404


class SchemaSource(Protocol):
    """Gives the writer schema of an id."""

    def writer(self, schema_id: int) -> WriterSchema:
        """Return the schema; the same id gives an equal schema for ever.

        Raises UnknownSchema when there is no such schema, Retry when that could not be found out.
        """


class BundledSchemas:
    """The schemas in this package, numbered by ids.json."""

    def __init__(self) -> None:
        self._known: dict[int, WriterSchema] = {}

    def writer(self, schema_id: int) -> WriterSchema:
        """Return the bundled schema; raises UnknownSchema."""
        if schema_id not in self._known:
            self._known[schema_id] = bundled(schema_id)
        return self._known[schema_id]


class RegistrySchemas:
    """A schema registry at ``url`` (``http://user:password@host`` for basic authentication; no proxy is used).

    Schemas never change under their id, so those found are kept for ever; an absence is kept for some seconds.
    """

    def __init__(self, url: str, *, timeout: float = TIMEOUT_SECONDS) -> None:
        self._url, self._headers = _address(url)
        self._timeout = timeout
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self._known: dict[int, WriterSchema] = {}
        self._unknown: dict[int, tuple[float, str]] = {}

    def writer(self, schema_id: int) -> WriterSchema:
        """Return the registered schema; raises UnknownSchema, or Retry when the registry does not answer."""
        if schema_id in self._known:
            return self._known[schema_id]
        if not 0 < schema_id <= HIGHEST_ID:
            raise UnknownSchema(f"schema id {schema_id} is not an id that a registry gives")
        since, why = self._unknown.get(schema_id, (0.0, ""))
        if why and time.monotonic() - since < UNKNOWN_SECONDS:
            raise UnknownSchema(why)
        try:
            found = self._fetch(schema_id)
        except UnknownSchema as unknown:
            if len(self._unknown) >= MOST_UNKNOWN:
                self._unknown.clear()
            self._unknown[schema_id] = (time.monotonic(), str(unknown))
            raise
        self._known[schema_id] = found
        return found

    def _fetch(self, schema_id: int) -> WriterSchema:
        request = urllib.request.Request(f"{self._url}/schemas/ids/{schema_id}", headers=self._headers)  # noqa: S310 - checked
        try:
            with self._opener.open(request, timeout=self._timeout) as response:
                answer = json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                if error.code == NOT_FOUND:
                    raise UnknownSchema(f"schema id {schema_id} is not in the registry") from None
                raise Retry(
                    f"the schema registry answered {error.code}; check GRIS_REGISTRY and the registry"
                ) from error
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise Retry(
                f"the schema registry cannot be reached ({type(error).__name__}); check GRIS_REGISTRY and the registry"
            ) from error
        return _parse(schema_id, answer)


def source(registry: str | None) -> SchemaSource:
    """Give where this process's schemas come from: the registry of GRIS_REGISTRY, or the bundled ones."""
    return RegistrySchemas(registry) if registry else BundledSchemas()


def _address(url: str) -> tuple[str, dict[str, str]]:
    """Part the URL from what must not show in it: (URL without user and password, headers)."""
    try:
        parts = urllib.parse.urlsplit(url)
    except ValueError:  # of a bracket that is not closed
        parts = urllib.parse.urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise Fatal("GRIS_REGISTRY is not a URL; give http://host:port")
    headers = {"Accept": "application/vnd.schemaregistry.v1+json, application/json"}
    if parts.username is not None:
        secret = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(secret.encode()).decode()}"
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="")
    return bare.geturl().rstrip("/"), headers


def _parse(schema_id: int, answer: object) -> WriterSchema:
    if not isinstance(answer, dict) or not isinstance(answer.get("schema"), str):
        raise Retry("the schema registry answered without a schema; check that GRIS_REGISTRY is a schema registry")
    if answer.get("schemaType", "AVRO") != "AVRO":
        raise UnknownSchema(f"schema id {schema_id} is not an Avro schema")
    if answer.get("references"):
        raise UnknownSchema(f"schema id {schema_id} refers to other schemas; register it in one piece")
    return writer_schema(schema_id, answer["schema"])
