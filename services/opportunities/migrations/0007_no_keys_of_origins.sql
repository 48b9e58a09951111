-- The key of the message from which a sign-up follows is a volunteer's ref. Opportunities does not need it.
UPDATE signup
   SET origin = origin - 'key',
       also_asked = (SELECT coalesce(jsonb_agg(ask #- '{2,key}' ORDER BY place), '[]')
                       FROM jsonb_array_elements(also_asked) WITH ORDINALITY AS asks(ask, place))
 WHERE origin ? 'key' OR jsonb_path_exists(also_asked, '$[*][2].key');

-- The timers that close the lines of shifts name such a message too.
UPDATE timer
   SET value = convert_to((convert_from(value, 'UTF8')::jsonb #- '{origin,key}')::text, 'UTF8')
 WHERE topic = 'opportunities.commands.v1';
