\set n :n + 1
\set number :n * 100 + :client_id
INSERT INTO messages (id, conversation_id, role, content) VALUES (('01980000000070' || :number)::uuid, 'c' || :client_id, 'user', :content) RETURNING id;
