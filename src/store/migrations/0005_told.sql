-- How a number's clients were told of another number. A call has few of these rows, and may have many messages.
CREATE INDEX deliveries_told ON deliveries (call, number, other, id) WHERE kind = 'peer';
