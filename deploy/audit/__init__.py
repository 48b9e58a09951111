"""The outside checker: it judges from outside what a run of the linkage did.

It looks at four things only: what was published to the registry topics, the registries' own audit views, a full
replay of all inner topics, and the audit views of the services' databases. It asks no service, and shares no code with
services: it imports the contracts only. ``gather`` takes the snapshot, ``check`` judges it. A snapshot is judged as it
is, so take it when nothing is on its way any more.

Invariants: I1 conservation, I2 at most once, I4 no overlap, I5 no overbooking, I6 order, I7 answered, I8 nothing
lost, I9 nothing from nowhere, I12 replay, I13 consent, I14 canaries, I15 poison, I16 drained, I17 sanity, I19 minors.

Left out, because the journey has nothing to which they apply:

* I3 double entry: the home's ledger is single-entry; conservation over both registries (I1) says the same.
* I10 audit chain: no hash chain is kept.
* I11 reversals: a correction is a later version of the same record (rule 69), so I1 and I2 cover it.
* I18 reconciliation: statements and breaks are not built yet (row 12 of the journey).
* I20 swap: not a property of one run; run it in all pairings of kinds.
* Of I9 signatures: the broker says who wrote, there are none. Of I12 digests: tables are compared row by row.
* Of I14 logs, metrics, error bodies: not visible from here; only topics and audit views are searched.
* Of I16 how long it took, of I17 the span of the shift: the journey has no such rule.
"""

from deploy.audit.gather import GatherError, databases_on, gather
from deploy.audit.report import Report, check
from deploy.audit.world import World

__all__ = ["GatherError", "Report", "World", "check", "databases_on", "gather"]
