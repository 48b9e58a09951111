-- On inner topics a registry's message goes by the border's own id. A row leads back to the registry's, which is a
-- stranger's text and may have a volunteer's ref in it. Rows are added, never changed.
CREATE TABLE registry_message (
    id           uuid PRIMARY KEY,
    registry     text NOT NULL,
    message_id   text NOT NULL,
    message_type text NOT NULL
);

CREATE VIEW audit_registry_message AS SELECT id, registry, message_id, message_type FROM registry_message;
GRANT SELECT ON audit_registry_message TO PUBLIC;
