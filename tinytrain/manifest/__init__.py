"""manifest.json of a generated folder: one schema, which `compile` fills in and all others read."""

from tinytrain.manifest.file import COMPILE_ANEW, COMPILE_OVER, read_manifest
from tinytrain.manifest.root import FORMAT, Manifest
from tinytrain.manifest.schema import SchemaError, to_json

__all__ = [
    "COMPILE_ANEW",
    "COMPILE_OVER",
    "FORMAT",
    "Manifest",
    "SchemaError",
    "read_manifest",
    "to_json",
]
