"""Where the clients come from, and where what came of them goes."""

import json
import os

import client as client_module
import trixie
from lab.laboratory import BUILD, ROOT

CACHE = os.path.join(ROOT, "build", "clients")
RESULTS = os.path.join(BUILD, "clients")


def root():
    """The clients' root; fetched the first time."""
    return trixie.fetch(CACHE, {client.package for client in client_module.load().values()})


def write(name, results):
    """Keeps them for document.py."""
    os.makedirs(RESULTS, exist_ok=True)
    with open(os.path.join(RESULTS, f"{name}.json"), "w", encoding="utf-8") as file:
        json.dump(results, file, indent=1)


def read(name):
    """What was kept; None if there was no such run."""
    path = os.path.join(RESULTS, f"{name}.json")
    if not os.path.exists(path):
        return None
    with open(path, encoding="utf-8") as file:
        return json.load(file)
