"""Several pools as one: each is measured by its own name, in the process that serves."""

from __future__ import annotations

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from aca_mcp.azure.several_pools import NamedPool, SeveralPools
from aca_mcp.errors import PoolUnavailableError
from aca_mcp.observed_pool import observed_member
from tests.support.odd_pools import OddPool
from tests.support.toy_pool import ToyPool


async def test_each_pool_has_its_own_counts_and_errors() -> None:
    reader = InMemoryMetricReader()
    meters = MeterProvider([reader], shutdown_on_exit=False)
    gone = OddPool(PoolUnavailableError("It cannot be reached."), "get_session", "execute")
    toys = {"full": ToyPool(max_sessions=0), "good": ToyPool(max_sessions=99), "gone": gone}
    pools = SeveralPools(
        [
            NamedPool(
                name, f"https://{name}.test", observed_member(toy, name, meter_provider=meters)
            )
            for name, toy in toys.items()
        ]
    )
    for number in range(20):
        await pools.execute(f"session-{number:04}", "1", timeout_seconds=5)
    data = reader.get_metrics_data()
    assert data is not None
    counted: dict[tuple[str, str, str], int] = {}
    for resource in data.resource_metrics:
        for metric in (each for scope in resource.scope_metrics for each in scope.metrics):
            assert metric.name == "aca_mcp.pool.member.operation.duration"
            for point in metric.data.data_points:
                named = dict(point.attributes or {})
                key = (
                    str(named["aca_mcp.pool.member"]),
                    str(named["aca_mcp.pool.operation"]),
                    str(named.get("error.type", "")),
                )
                counted[key] = getattr(point, "count", 0)
    executed = {key: count for key, count in counted.items() if key[1] == "execute"}
    assert executed[("good", "execute", "")] == 20
    assert set(executed) == {
        ("good", "execute", ""),
        ("full", "execute", "PoolFullError"),
        ("gone", "execute", "PoolUnavailableError"),
    }
    # One that did not answer is not tried again for a while.
    assert executed[("gone", "execute", "PoolUnavailableError")] == 1
    # It is asked once more whether what it refused had begun a session there.
    assert counted[("gone", "get_session", "PoolUnavailableError")] == 20 + 1
    assert all(key[0] in toys for key in counted)
    meters.shutdown()
