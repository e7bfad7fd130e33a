"""Changes of two consoles to one settings file, as laws."""

from hypothesis import given
from hypothesis import strategies as st

from hvconsole.settings_merge import merged

LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2)
TREES = st.dictionaries(
    st.sampled_from("abcd"),
    st.recursive(LEAVES, lambda inside: st.dictionaries(st.sampled_from("abcd"), inside, max_size=3), max_leaves=8),
    max_size=4,
)


@given(TREES, TREES)
def test_who_changed_nothing_gets_what_the_other_wrote(base, theirs):
    assert merged(base, base, theirs) == theirs


@given(TREES, TREES)
def test_changes_land_whole_on_a_file_that_nobody_else_changed(base, ours):
    def without_empty(tree):
        return {k: w for k, v in tree.items() if (w := without_empty(v) if isinstance(v, dict) else v) != {}}

    assert without_empty(merged(base, ours, base)) == without_empty(ours)


def test_servers_are_merged_one_by_one():
    base = {"servers": [{"id": "1", "name": "a"}, {"id": "2", "name": "b"}]}
    ours = {"servers": [{"id": "1", "name": "new"}, {"id": "2", "name": "b"}, {"id": "3", "name": "ours"}]}
    theirs = {"servers": [{"id": "1", "name": "a"}, {"id": "4", "name": "theirs"}]}
    names = [row["name"] for row in merged(base, ours, theirs)["servers"]]
    assert names == ["new", "theirs", "ours"]


def test_what_both_changed_is_ours():
    assert merged({"x": 1}, {"x": 2}, {"x": 3}) == {"x": 2}
