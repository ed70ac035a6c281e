"""What helm makes of each example is in the tree, and so is all that is generated for the chart."""

import pytest

from tools import chart_golden, chart_topics, values_schema
from tools.chart_tools import CHART, HELM4, ROOT, HelmError, documents, render


@pytest.mark.parametrize("example", chart_golden.examples())
def test_each_example_renders_to_what_lies_beside_it(example: str) -> None:
    for path, text in chart_golden.golden(example).items():
        assert path.read_text() == text, f"{path.relative_to(ROOT)}: make chart-generate"


def test_helm_4_makes_the_same_of_it() -> None:
    values = chart_golden.EXAMPLES / "learning/values.yaml"
    assert documents(render([values], program=HELM4)) == documents(render([values]))
    with pytest.raises(HelmError, match="replica"):
        render([values, {"services": {"identity": {"roles": {"all": {"replica": 2}}}}}], program=HELM4)


def test_schema_topics_and_readme_are_what_their_sources_say() -> None:
    assert values_schema.TARGET.read_text() == values_schema.text()
    assert chart_topics.TARGET.read_text() == chart_topics.text()
    assert chart_golden.README.read_text() == chart_golden.readme()


def test_every_value_that_is_no_copy_of_kubernetes_is_described() -> None:
    known = {"nodeSelector", "tolerations", "affinity", "priorityClassName"}
    described = {key for key, _, _ in chart_golden.rows()}
    groups = {".".join(key.split(".")[:depth]) for key in described for depth in range(1, key.count(".") + 1)}
    assert [key for key in values_schema.Values.model_fields if key not in described | groups | known] == []
    assert len(described) > 90


def test_no_template_leaves_a_trace_of_the_machine_it_was_written_on() -> None:
    for path in CHART.rglob("*"):
        if path.is_file() and path.suffix in {".yaml", ".tpl", ".sh", ".py", ".md", ".txt"}:
            assert str(ROOT) not in path.read_text(), path
