-- Origins have no key any more: a request names both of its refs itself.
UPDATE request SET origin = origin - 'key' WHERE origin ? 'key';

UPDATE timer
   SET value = convert_to((convert_from(value, 'UTF8')::jsonb #- '{origin,key}')::text, 'UTF8')
 WHERE topic = 'identity.commands.v1';
