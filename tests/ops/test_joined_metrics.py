"""One view of the metrics of several processes."""

from collections.abc import Callable

from creditgate.ops.joined_metrics import EndedProcesses, JoinedMetrics, ProcessSamples, take_samples
from creditgate.ops.metrics import Metrics

CALLS = {"method": "M", "code": "OK"}


def process(calls: int = 0, *, ready: bool = True, lag_s: int = 0, queue: int = 0) -> Metrics:
    """Return the metrics of a process that has answered some calls."""
    metrics = Metrics(codes=("OK",), version="1", library_version=1, on_readiness=lambda: None)
    method = metrics.rpcs.of_method("M")
    for _ in range(calls):
        method.call_finished("OK", 0.003)
    metrics.store.readiness_changed(ready=ready, why="")
    metrics.store.swept(0, lag_s)
    metrics.store.retired(0, lag_s + 1)
    metrics.store.queue_changed(queue)
    return metrics


def joined(*told: ProcessSamples) -> Callable[..., float | None]:
    """Return what looks a value up in the joined metrics of a parent and these processes."""
    parent = Metrics(codes=("OK",), version="1", library_version=1, on_readiness=lambda: None)
    parent.watch_workers(lambda: 7)
    families = list(JoinedMetrics(parent.registry, lambda: told).collect())
    names = [family.name for family in families]
    assert len(names) == len(set(names))
    samples = [(sample.name, sample.labels, sample.value) for family in families for sample in family.samples]

    def value(name: str, **labels: str) -> float | None:
        found = [number for told_name, told_labels, number in samples if (told_name, told_labels) == (name, labels)]
        assert len(found) <= 1
        return found[0] if found else None

    return value


def test_counters_histograms_and_most_gauges_add_up() -> None:
    first = ProcessSamples(0, take_samples(process(2, queue=3).registry))
    second = ProcessSamples(1, take_samples(process(5, queue=4).registry))
    value = joined(first, second)
    assert value("creditgate_rpcs_total", **CALLS) == 7
    assert value("creditgate_rpc_duration_seconds_count", method="M") == 7
    assert value("creditgate_rpc_duration_seconds_bucket", method="M", le="0.005") == 7
    assert value("creditgate_rpc_duration_seconds_bucket", method="M", le="0.002") == 0
    assert value("creditgate_store_queue_operations") == 7
    assert value("creditgate_late_commits_total") == 0


def test_results_of_operations_that_alerts_look_at_are_there_from_the_start() -> None:
    full = {"operation": "ReserveCredit", "result": "STORE_FULL"}
    assert joined()("creditgate_store_operations_total", **full) == 0
    workers = [process(), process()]
    told = [ProcessSamples(number, take_samples(each.registry)) for number, each in enumerate(workers)]
    assert joined(*told)("creditgate_store_operations_total", **full) == 0
    workers[1].store.operation_finished(*full.values())
    told[1] = ProcessSamples(1, take_samples(workers[1].registry))
    assert joined(*told)("creditgate_store_operations_total", **full) == 1


def test_readiness_is_the_least_and_lag_the_greatest() -> None:
    first = ProcessSamples(0, take_samples(process(lag_s=9).registry))
    second = ProcessSamples(1, take_samples(process(lag_s=2, ready=False).registry))
    assert joined(first)("creditgate_store_ready") == 1
    value = joined(first, second)
    assert value("creditgate_store_ready") == 0
    assert value("creditgate_sweeper_lag_seconds") == 9
    assert value("creditgate_sweeper_retention_lag_seconds") == 10


def test_a_policy_file_that_one_process_cannot_use_shows() -> None:
    usable, unusable = process(), process()
    for metrics in (usable, unusable):
        metrics.policy_read(usable=True)
    unusable.policy_read(usable=False)
    value = joined(ProcessSamples(0, take_samples(usable.registry)))
    assert value("creditgate_policy_file_usable") == 1
    value = joined(
        *(ProcessSamples(number, take_samples(each.registry)) for number, each in enumerate((usable, unusable)))
    )
    assert value("creditgate_policy_file_usable") == 0
    assert value("creditgate_policy_reads_total", usable="true") == 2


def test_without_workers_nothing_is_ready() -> None:
    value = joined()
    assert value("creditgate_store_ready") == 0
    assert value("creditgate_workers_ready") == 7


def test_what_the_parent_alone_knows_is_told_once() -> None:
    value = joined(ProcessSamples(0, take_samples(process().registry)))
    assert value("creditgate_build_info", version="1", library_version="1") == 1
    assert value("creditgate_workers_ready") == 7


def test_processes_stand_beside_each_other() -> None:
    value = joined(ProcessSamples(3, take_samples(process().registry)))
    assert value("process_start_time_seconds")
    assert value("process_start_time_seconds", worker="3")


def test_a_replacement_counts_and_has_no_say_in_readiness() -> None:
    worker = ProcessSamples(0, take_samples(process(1).registry))
    replacement = ProcessSamples(None, take_samples(process(1, ready=False).registry))
    value = joined(worker, replacement)
    assert value("creditgate_rpcs_total", **CALLS) == 2
    assert value("creditgate_store_ready") == 1


def test_what_ended_processes_have_counted_stays() -> None:
    ended = EndedProcesses()
    for calls in (2, 3):
        ended.add(take_samples(process(calls, lag_s=50, queue=9).registry))
    value = joined(ended.sums(), ProcessSamples(0, take_samples(process(1).registry)))
    assert value("creditgate_rpcs_total", **CALLS) == 6
    assert value("creditgate_rpc_duration_seconds_bucket", method="M", le="+Inf") == 6
    assert value("creditgate_store_queue_operations") == 0
    assert value("creditgate_sweeper_lag_seconds") == 0
    assert value("process_cpu_seconds_total", worker="None") is None
