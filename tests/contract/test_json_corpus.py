"""JSON documents that have broken parsers, as bodies and as parts of bodies."""

import json

import pytest

from tests.contract.corpora import ACCEPTED, REFUSED
from tests.engine.api import BASE, Api, problem

LIST = f"{BASE}/specimens"
JSON = {"content-type": "application/json"}


@pytest.mark.parametrize("path", [LIST, f"{LIST}/bulk"])
async def test_invalid_json_is_refused(specimen_api: Api, path: str) -> None:
    for document in REFUSED:
        problem(await specimen_api.client.post(path, content=document, headers=JSON), 400, "invalid_json")


async def test_invalid_json_within_a_document_is_refused(specimen_api: Api) -> None:
    for document in REFUSED:
        if document.strip().startswith(b"[") and document.rstrip().endswith(b"]"):
            body = b'{"label":"x","data":{"v":' + document + b"}}"
            problem(await specimen_api.client.post(LIST, content=body, headers=JSON), 400, "invalid_json")


@pytest.mark.parametrize("document", ACCEPTED, ids=ascii)
async def test_json_is_stored_as_it_was_sent(specimen_api: Api, document: str) -> None:
    body = f'{{"label":"x","data":{{"v":{document}}}}}'.encode()
    made = await specimen_api.client.post(LIST, content=body, headers=JSON)
    assert made.status_code == 201, made.text
    read = await specimen_api.client.get(made.headers["location"])
    # The server writes large doubles with all their digits.
    found, sent = (json.loads(text, parse_int=float) for text in (read.text, document))
    assert found["data"]["v"] == sent


@pytest.mark.parametrize("document", ACCEPTED, ids=ascii)
async def test_json_of_the_wrong_shape_is_a_validation_error(specimen_api: Api, document: str) -> None:
    response = await specimen_api.client.post(LIST, content=document.encode(), headers=JSON)
    problem(response, 422, "validation_failed")
