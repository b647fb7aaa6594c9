-- the names of all stored events, sorted, in one row; a name that stands twice in the raw table is one name, so no FINAL
SELECT arraySort(groupUniqArray(toString(event))) AS names FROM events_raw
