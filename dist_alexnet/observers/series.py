"""Numbers under names and labels, as Prometheus collects them. A collector of its own: prometheus-client's histogram takes one step at a
time, and a record has many.
"""

import threading
from collections.abc import Iterable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from dist_alexnet.observers.families import FAMILIES, LABELS, PREFIX

Key = tuple[str, ...]  # values of the labels, in their order


class Series(Collector):
    """What one run exports. Whoever changes several numbers together holds `lock`."""

    def __init__(self, bounds: Iterable[str]) -> None:
        """`bounds`: of the histogram, in seconds, without infinity."""
        self.lock = threading.Lock()
        self.labels: Key = ("", "")  # values of LABELS from here on
        self._bounds = [*bounds, "inf"]
        self._values: dict[str, dict[Key, float]] = {name: {} for name in FAMILIES}
        self._steps: dict[Key, dict[str, int]] = {}  # by upper bound

    def add(self, name: str, amount: float, *labels: str) -> None:
        """To a counter; one that nothing is added to is there from then on, too."""
        key = (*self.labels, *labels)
        self._values[name][key] = self._values[name].get(key, 0.0) + amount

    def put(self, name: str, value: float | None, *labels: str) -> None:
        """Set a gauge (None: nobody knows, it stays)."""
        if value is not None:
            self._values[name][*self.labels, *labels] = value

    def forget_gauges(self) -> None:
        """Drop what was true of an earlier attempt; counters stay."""
        for name, family in FAMILIES.items():
            if family.kind == "gauge":
                self._values[name].clear()

    def observe(self, name: str, seconds: float, steps: Mapping[str, int]) -> None:
        """Add steps by upper bound to the histogram, and what they took together."""
        self.add(name, seconds)
        counts = self._steps.setdefault(self.labels, dict.fromkeys(self._bounds, 0))
        for bound, number in steps.items():
            counts[next((ours for ours in self._bounds if float(bound) <= float(ours)), "inf")] += number

    def collect(self) -> Iterator[Metric]:
        """All families, those without series included: whoever writes a query finds the names."""
        with self.lock:
            families = [self._family(name) for name in FAMILIES]
        yield from families

    def _family(self, name: str) -> Metric:
        family, labels = FAMILIES[name], (*LABELS, *FAMILIES[name].labels)
        if family.kind == "histogram":
            histogram = HistogramMetricFamily(PREFIX + name, family.help, labels=labels)
            for key, total in self._values[name].items():
                histogram.add_metric(key, self._cumulated(key), sum_value=total)
            return histogram
        metric: CounterMetricFamily | GaugeMetricFamily
        metric = (CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily)(PREFIX + name, family.help, labels=labels)
        for key, value in self._values[name].items():
            metric.add_metric(key, value)
        return metric

    def _cumulated(self, key: Key) -> list[tuple[str, float]]:
        total, buckets = 0, []
        for bound in self._bounds:
            total += self._steps[key][bound]
            buckets.append(("+Inf" if bound == "inf" else bound, float(total)))
        return buckets
