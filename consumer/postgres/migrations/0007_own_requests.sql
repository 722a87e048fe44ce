-- When a request was published, so that a partner can list its own, newest first.

ALTER TABLE request_part ADD COLUMN event_time timestamptz;  -- of the first event; NULL if an older version wrote it

-- Without the rows of older versions, so that it is made in one pass over them. By ascending time, as rows are added.
CREATE INDEX request_part_partner_idx ON request_part (partner_id, event_time) WHERE event_time IS NOT NULL;
