"""What each surface is: numeric models as blocks of named slots, joint spaces as branches with a join rule."""
