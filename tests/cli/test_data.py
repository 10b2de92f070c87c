"""`igbrepro data`."""

import json


def test_data_status_names_the_shipped_subset(igbrepro):
    code, out, _ = igbrepro("data", "status")
    assert code == 0 and "fashion-mnist-subset" in out and "verified" in out
    code, out, _ = igbrepro("data", "status", "--json")
    assert code == 0 and "fashion-mnist-subset" in [row["dataset"] for row in json.loads(out)]


def test_data_fetch_refuses_unknown_names(igbrepro):
    code, _, err = igbrepro("data", "fetch", "fashion-mnits")
    assert code == 2 and "fashion-mnits" in err and len(err.splitlines()) == 1
