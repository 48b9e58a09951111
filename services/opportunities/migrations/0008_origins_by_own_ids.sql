-- An origin names the registry's message by an id of the linkage's own. What the registry calls it may have a ref in it.
UPDATE signup
   SET origin = jsonb_build_object('registry', origin->'registry', 'message', md5(origin->>'message_id')::uuid)
 WHERE origin ? 'message_id';

UPDATE signup
   SET also_asked = (SELECT jsonb_agg(jsonb_set(ask, '{2}', jsonb_build_object(
                                'registry', ask#>'{2,registry}', 'message', md5(ask#>>'{2,message_id}')::uuid))
                              ORDER BY place)
                       FROM jsonb_array_elements(also_asked) WITH ORDINALITY AS asks(ask, place))
 WHERE jsonb_path_exists(also_asked, '$[*][2].message_id');

-- The timers that close the lines of shifts name such a message too.
UPDATE timer
   SET value = convert_to(jsonb_set(body, '{origin}', jsonb_build_object(
         'registry', body#>'{origin,registry}', 'message', md5(body#>>'{origin,message_id}')::uuid))::text, 'UTF8')
  FROM (SELECT name AS of_name, convert_from(value, 'UTF8')::jsonb AS body FROM timer
         WHERE topic = 'opportunities.commands.v1') AS said
 WHERE name = of_name AND body#>'{origin}' ? 'message_id';
