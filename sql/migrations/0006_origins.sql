-- A record that was sent on from another partition carries where it came from. A copy of it that comes again (a worker
-- that dies may send on twice) is known by that, also by an archiver that has taken over the partition since.
ALTER TABLE events_raw
    ADD COLUMN IF NOT EXISTS origin UInt64 COMMENT 'mark of a record that was sent on to this partition, else 0';
ALTER TABLE duplicates_raw
    ADD COLUMN IF NOT EXISTS origin UInt64 COMMENT 'mark of a record that was sent on to this partition, else 0';
