-- Every event below it was answered before the last batch of the partition was applied. So if Kafka's committed offset is
-- put back, no more than that batch is answered again. 0 until the next batch is applied.
ALTER TABLE consumer_partition ADD COLUMN answered_to bigint NOT NULL DEFAULT 0;
