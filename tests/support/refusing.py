"""A database that refuses writes to a table, with a given SQLSTATE."""

from __future__ import annotations

from typing import Any

__all__ = ["let_in", "refusing"]


async def refusing(db: Any, table: str, code: str, condition: str = "true") -> None:
    """From now on rows of this table for which the condition on ``NEW`` holds are refused."""
    await db.execute(
        f"""CREATE FUNCTION refuse_{table}() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN
                 IF {condition} THEN RAISE EXCEPTION 'as asked' USING ERRCODE = '{code}'; END IF;
                 RETURN NEW;
               END $$;
            CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION refuse_{table}()"""
    )


async def let_in(db: Any, table: str) -> None:
    """End the refusing."""
    await db.execute(f"DROP TRIGGER refuse ON {table}; DROP FUNCTION refuse_{table}()")
