-- Of a record beyond the contract's limits, and of a batch that cannot be read, only the first bytes are kept, in value.
-- size and digest (BLAKE2b, 16 bytes) are those of the whole; a batch reaches from "offset" to last_offset.
ALTER TABLE set_aside
    ADD COLUMN last_offset bigint,
    ADD COLUMN size bigint,
    ADD COLUMN digest bytea,
    ADD CHECK ((digest IS NULL) = (size IS NULL) AND (digest IS NULL) = (last_offset IS NULL));
ALTER TABLE discarded
    ADD COLUMN last_offset bigint,
    ADD COLUMN size bigint,
    ADD COLUMN digest bytea;
