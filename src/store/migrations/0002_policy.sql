-- Whether the number's clients take part: 0 if they were switched off; never said is yes.
ALTER TABLE numbers ADD COLUMN enabled INTEGER;

-- To whom the client's address may go, as JSON.
ALTER TABLE bindings ADD COLUMN offer TEXT NOT NULL DEFAULT '"everyone"';
