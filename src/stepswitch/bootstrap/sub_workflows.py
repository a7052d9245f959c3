"""Executions that wait for others, wired. Called by `wiring`."""

from stepswitch.engine.child_orders import Callers, ChildOrders
from stepswitch.engine.child_outcomes import ChildOutcomes
from stepswitch.engine.conductor import Conductor
from stepswitch.engine.executions import Executions
from stepswitch.engine.ports import Secrets
from stepswitch.engine.sub_workflows import SubWorkflows
from stepswitch.storage.database import Database
from stepswitch.storage.executions import SqlExecutionStore
from stepswitch.storage.lists import SqlListStore
from stepswitch.worker.attempt import Surroundings


def wire_sub_workflows(
    around: Surroundings, database: Database, conductor: Conductor, executions: Executions, secrets: Secrets, *, callers: Callers
) -> SubWorkflows:
    """Return what begins and follows them, and let it hear of every commit."""
    store, snapshots, rules = SqlExecutionStore(database), conductor.snapshots, conductor.rules
    clock, ids = around.clock, around.ids
    orders = ChildOrders(
        executions=executions,
        lists=SqlListStore(database, store),
        store=store,
        snapshots=snapshots,
        callers=callers,
        secrets=secrets,
        rules=rules,
        clock=clock,
        ids=ids,
    )
    outcomes = ChildOutcomes(store, snapshots, secrets, rules)
    found = SubWorkflows(conductor=conductor, store=store, files=around.files, orders=orders, outcomes=outcomes, clock=clock, ids=ids)
    conductor.observe(found)
    return found
