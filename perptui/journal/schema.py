"""The journal's tables: one append-only chain of events, and projections made from it alone."""

from __future__ import annotations

APPLICATION_ID = 0x70745431
"""Marks the file as ours (`ptT1`), whatever its name."""

_EVENTS = """
CREATE TABLE event (
  seq INTEGER PRIMARY KEY,
  ts INTEGER NOT NULL,
  host TEXT NOT NULL,
  actor TEXT NOT NULL,
  kind TEXT NOT NULL,
  body TEXT NOT NULL,
  prev_hash TEXT NOT NULL,
  hash TEXT NOT NULL UNIQUE
) STRICT;
CREATE TRIGGER event_next BEFORE INSERT ON event
  WHEN NEW.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM event)
  BEGIN SELECT raise(ABORT, 'event is append-only: wrong sequence number'); END;
CREATE TRIGGER event_no_update BEFORE UPDATE ON event
  BEGIN SELECT raise(ABORT, 'event is append-only: no update'); END;
CREATE TRIGGER event_no_delete BEFORE DELETE ON event
  BEGIN SELECT raise(ABORT, 'event is append-only: no delete'); END;
CREATE TABLE lease (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  fence INTEGER NOT NULL,
  pid INTEGER NOT NULL
) STRICT;
INSERT INTO lease VALUES (1, 0, 0);
"""

_FIRST_PROJECTIONS = """
CREATE TABLE ticket (
  id TEXT PRIMARY KEY,
  seq INTEGER NOT NULL,
  purpose TEXT NOT NULL,
  trader TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  digest TEXT NOT NULL,
  token TEXT NOT NULL UNIQUE,
  state TEXT NOT NULL,
  reason TEXT NOT NULL
) STRICT;
CREATE TABLE confirmation (
  token TEXT PRIMARY KEY REFERENCES ticket (token),
  ticket TEXT NOT NULL UNIQUE REFERENCES ticket (id),
  seq INTEGER NOT NULL,
  confirmed_ms INTEGER NOT NULL,
  uid INTEGER NOT NULL
) STRICT;
CREATE TABLE leg (
  client_id TEXT PRIMARY KEY,
  ticket TEXT NOT NULL REFERENCES ticket (id),
  number INTEGER NOT NULL,
  instrument TEXT NOT NULL,
  venue TEXT NOT NULL,
  side TEXT NOT NULL,
  contracts TEXT NOT NULL,
  state TEXT NOT NULL,
  filled TEXT NOT NULL,
  average_price TEXT,
  venue_order_id TEXT NOT NULL,
  code TEXT NOT NULL,
  note TEXT NOT NULL,
  sent_ms INTEGER,
  fence INTEGER,
  executed TEXT NOT NULL,
  settled INTEGER NOT NULL,
  UNIQUE (ticket, number)
) STRICT;
CREATE INDEX leg_settled ON leg (settled);
CREATE INDEX leg_sent ON leg (sent_ms);
CREATE INDEX leg_state ON leg (state);
CREATE INDEX leg_order ON leg (venue, venue_order_id);
CREATE TABLE fill (
  instrument TEXT NOT NULL,
  trade_id TEXT NOT NULL,
  client_id TEXT NOT NULL REFERENCES leg (client_id),
  side TEXT NOT NULL,
  contracts TEXT NOT NULL,
  price TEXT NOT NULL,
  fee_usd TEXT NOT NULL,
  ts_ms INTEGER NOT NULL,
  PRIMARY KEY (instrument, trade_id)
) STRICT;
CREATE INDEX fill_client ON fill (client_id);
CREATE TABLE position (
  instrument TEXT PRIMARY KEY,
  contracts TEXT NOT NULL
) STRICT;
CREATE TABLE baseline (
  venue TEXT PRIMARY KEY,
  seq INTEGER NOT NULL
) STRICT;
CREATE TABLE counter (
  day INTEGER NOT NULL,
  trader TEXT NOT NULL,
  notional_usd TEXT NOT NULL,
  PRIMARY KEY (day, trader)
) STRICT;
CREATE TABLE kill (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  state TEXT NOT NULL,
  reason TEXT NOT NULL,
  uid INTEGER NOT NULL
) STRICT;
INSERT INTO kill VALUES (1, 'ACTIVE', '', -1);
CREATE TABLE notice (
  key TEXT PRIMARY KEY,
  seq INTEGER NOT NULL
) STRICT;
"""

_APPROVAL_STOPS_AND_CANCELS = """
ALTER TABLE leg ADD COLUMN kind TEXT NOT NULL DEFAULT 'LIMIT IOC';
ALTER TABLE leg ADD COLUMN trigger_price TEXT;
CREATE TABLE approval (
  ticket TEXT PRIMARY KEY REFERENCES ticket (id),
  seq INTEGER NOT NULL,
  trader_uid INTEGER NOT NULL,
  reasons TEXT NOT NULL,
  expires_ms INTEGER NOT NULL,
  state TEXT NOT NULL,
  uid INTEGER,
  reason TEXT NOT NULL
) STRICT;
CREATE INDEX approval_state ON approval (state);
CREATE TABLE cancel (
  seq INTEGER PRIMARY KEY,
  client_id TEXT NOT NULL REFERENCES leg (client_id),
  venue TEXT NOT NULL,
  sent_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX cancel_sent ON cancel (sent_ms);
"""

PROJECTIONS = _FIRST_PROJECTIONS + _APPROVAL_STOPS_AND_CANCELS
"""All projections as they are now, empty."""

PROJECTION_TABLES = (
    "ticket",
    "confirmation",
    "leg",
    "fill",
    "position",
    "baseline",
    "counter",
    "kill",
    "notice",
    "approval",
    "cancel",
)

MIGRATIONS = (_EVENTS + _FIRST_PROJECTIONS, _APPROVAL_STOPS_AND_CANCELS)
"""Statements that lead from version n to n + 1; only ever appended to."""
