-- Whose a row is, for less. While no old user id is linked (aliases), only rows that count as a device's are looked up; and
-- the place in the log from which on an id is shared is looked at only if some id is. Both are asked of the links as they
-- stand, so that a link that comes later changes all history at once, as before.
CREATE OR REPLACE VIEW events AS
WITH
    (
        SELECT (groupArray(concat(toString(stream), '\0', id)), groupArray(offset))
        FROM links_raw WHERE outcome = 'shared'
    ) AS shared,
    (
        SELECT count() > 0 FROM
            (SELECT 1 FROM links_raw WHERE (id < '$device:' OR id >= '$device;') AND outcome = 'linked' LIMIT 1)
    ) AS has_aliases
SELECT
    e.* EXCEPT (counted_as, origin, watermark, clock, claim, claimed),
    if(
        o.person = '' OR if(
            empty(shared.1),
            false,
            o.is_shared
            AND e.offset >= transform(
                concat(toString(e.stream), '\0', e.counted_as), shared.1, shared.2, toUInt64(18446744073709551615))),
        e.counted_as,
        o.person) AS person
FROM events_raw AS e FINAL
LEFT ANY JOIN owners AS o ON o.id = e.counted_as AND if(has_aliases, true, startsWith(e.counted_as, '$device:'))
SETTINGS do_not_merge_across_partitions_select_final = 1, use_hash_table_stats_for_join_reordering = 0;
