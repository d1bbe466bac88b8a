"""The chart by Helm's own library, for tests: what is asked comes as JSON on stdin, and the answer leaves as JSON on stdout.

  render    {"values": YAML}     -> {"files": {name: text}, "objects": [...]}, or {"error": text}
  lint      {"values": YAML}     -> the report of `helm lint --strict`
  validate  {"objects": [...]}   -> the problems of objects against the schemas of Kubernetes, for each version
  read      {"yaml": YAML}       -> the same as JSON
"""

import json
import sys

import helm_python as helm
import kubernetes_validate
import yaml

CHART, TASK = sys.argv[1:]
ASKED = json.load(sys.stdin)
# The oldest release that the chart is for, and the newest that the schemas are of.
VERSIONS = ["1.30", "1.37"]
VALUES = yaml.safe_load(ASKED.get("values", "")) or {}


def render():
    try:
        with helm.Chart.load(CHART) as chart:
            chart.validate_schema(VALUES)
            files = chart.render(values=VALUES, name="iof", namespace="iof")
    except helm.HelmError as error:
        return {"error": str(error)}
    files = {name: text for name, text in sorted(files.items()) if text.strip()}
    notes = [name for name in files if name.endswith("NOTES.txt")]
    objects = [
        item
        for name, text in files.items()
        if name not in notes
        for item in yaml.safe_load_all(text)
        if item
    ]
    return {"files": files, "objects": objects}


def validate():
    problems = []
    for version in VERSIONS:
        for item in ASKED["objects"]:
            try:
                kubernetes_validate.validate(item, version, strict=True)
            except Exception as error:  # Each kind of problem has a class of its own.
                problems.append(f"{version} {item.get('kind')}: {error}")
    return problems


def lint():
    return helm.lint(CHART, VALUES, strict=True)


def read():
    return yaml.safe_load(ASKED["yaml"])


TASKS = {"render": render, "lint": lint, "validate": validate, "read": read}
json.dump(TASKS[TASK](), sys.stdout)
