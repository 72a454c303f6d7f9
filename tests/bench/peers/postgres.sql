-- The store for messages as a competent user of PostgreSQL writes it. The trigger refuses a message of no conversation,
-- so that there is no foreign key to be checked besides.
CREATE TABLE conversations (
    id text PRIMARY KEY,
    updated_at bigint NOT NULL,
    last_message_at bigint
) WITH (fillfactor = 50); -- room for the new version of a row beside the old one

CREATE TABLE messages (
    position bigint GENERATED ALWAYS AS IDENTITY,
    id uuid PRIMARY KEY,
    conversation_id text NOT NULL,
    role text NOT NULL,
    state text NOT NULL DEFAULT 'final',
    created_at bigint NOT NULL,
    content text NOT NULL
);
CREATE INDEX messages_by_conversation ON messages (conversation_id, position);

CREATE FUNCTION store_message() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.created_at := floor(extract(epoch FROM clock_timestamp()) * 1000);
    UPDATE conversations
        SET updated_at = greatest(updated_at + 1, NEW.created_at), last_message_at = NEW.created_at
        WHERE id = NEW.conversation_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no conversation %', NEW.conversation_id;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER store_message BEFORE INSERT ON messages FOR EACH ROW EXECUTE FUNCTION store_message();

INSERT INTO conversations SELECT 'c' || i, 0, NULL FROM generate_series(0, 63) AS i;
