-- An origin names the registry's message by an id of the linkage's own. What the registry calls it may have a ref in it.
UPDATE request
   SET origin = jsonb_build_object('registry', origin->'registry', 'message', md5(origin->>'message_id')::uuid)
 WHERE origin ? 'message_id';

UPDATE timer
   SET value = convert_to(jsonb_set(body, '{origin}', jsonb_build_object(
         'registry', body#>'{origin,registry}', 'message', md5(body#>>'{origin,message_id}')::uuid))::text, 'UTF8')
  FROM (SELECT name AS of_name, convert_from(value, 'UTF8')::jsonb AS body FROM timer
         WHERE topic = 'identity.commands.v1') AS said
 WHERE name = of_name AND body#>'{origin}' ? 'message_id';
